"use client";

import { ErrorCard } from "@/components/ui/error-card";

export default function AppPageError({ error, reset }: { error: Error; reset: () => void }) {
  return (
    <div className="mx-auto max-w-2xl">
      <ErrorCard what="This page failed in your browser. Your tasks go on at the server." error={error} onRetry={reset} />
    </div>
  );
}
