const TELLING = ["path", "command", "script", "argv", "pattern", "query", "tests", "test", "item_id", "message", "summary"];
const MOST = 160;

/** The one argument that says most, for a folded line. */
export function briefArguments(text: string): string {
  const known = tellingOf(text);
  const line = (known ?? (text === "{}" ? "" : text)).replace(/\s+/g, " ").trim();
  return line.length > MOST ? `${line.slice(0, MOST)}…` : line;
}

function tellingOf(text: string): string | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const fields = value as Record<string, unknown>;
  for (const name of TELLING) {
    const found = fields[name];
    if (typeof found === "string" && found) return found;
    if (Array.isArray(found) && found.length > 0) return found.join(" ");
  }
  return null;
}
