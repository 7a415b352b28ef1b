import type { SourceKind } from "@/lib/api/types";

/** Tell an https URL from a path, as people type them. */
export function sourceKindOf(source: string): SourceKind {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(source.trim()) || /^[^/\\]+@[^/\\]+:/.test(source.trim()) ? "git_url" : "local_path";
}

export const KIND_WORDS: Record<SourceKind, string> = { local_path: "Folder on this server", git_url: "Git URL" };
