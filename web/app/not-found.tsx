import type { Metadata } from "next";
import { ButtonLink } from "@/components/ui/button";
import { Brand } from "@/components/shell/shell";

export const metadata: Metadata = { title: "Not found" };

export default function NotFound() {
  return (
    <main className="mx-auto flex min-h-dvh max-w-md flex-col items-start justify-center gap-4 px-4 py-10">
      <Brand />
      <h1 className="text-2xl font-semibold">This page does not exist</h1>
      <p className="text-muted">The address may be mistyped, or what it named is gone.</p>
      <ButtonLink href="/tasks" variant="primary" icon="list">
        All tasks
      </ButtonLink>
    </main>
  );
}
