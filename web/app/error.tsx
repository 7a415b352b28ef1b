"use client";

import { ErrorCard } from "@/components/ui/error-card";

export default function PageError({ error, reset }: { error: Error; reset: () => void }) {
  return (
    <main className="mx-auto max-w-2xl px-4 py-10">
      <ErrorCard what="This page failed in your browser. Your tasks go on at the server." error={error} onRetry={reset} />
    </main>
  );
}
