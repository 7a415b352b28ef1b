/** Where to go after the sign-in: only ever a path of this site. */
export function safeNext(next: string | null): string {
  if (!next || !next.startsWith("/") || next.startsWith("//") || next.includes("\\")) return "/";
  return next.startsWith("/login") ? "/" : next;
}

/** The one-time token of the first-run link, from the query or the fragment. */
export function setupTokenOf(search: string, hash: string): string {
  const inQuery = new URLSearchParams(search).get("token");
  return inQuery ?? new URLSearchParams(hash.replace(/^#\??/, "")).get("token") ?? "";
}
