"use client";

import { ErrorCard } from "@/components/ui/error-card";
import "./globals.css";

export default function GlobalError({ error, reset }: { error: Error; reset: () => void }) {
  return (
    <html lang="en">
      <body>
        <main className="mx-auto max-w-2xl px-4 py-10">
          <ErrorCard what="HyperCode's page failed in your browser. Your tasks go on at the server." error={error} onRetry={reset} />
        </main>
      </body>
    </html>
  );
}
