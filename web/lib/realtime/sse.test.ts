import { describe, expect, it } from "vitest";
import { SseParser } from "./sse";

const STREAM = 'id: 1\nevent: run.queued\ndata: {"seq":1}\n\n: note\n\nevent: heartbeat\ndata: {}\n\nid: 2\r\ndata: a\r\ndata: b\r\n\r\n';
const WHOLE = [
  { id: "1", event: "run.queued", data: '{"seq":1}' },
  { id: "1", event: "heartbeat", data: "{}" },
  { id: "2", event: "message", data: "a\nb" },
];

describe("SseParser", () => {
  it("reads whole streams", () => {
    expect(new SseParser().push(STREAM)).toEqual(WHOLE);
  });

  it("reads the same messages whatever the pieces", () => {
    for (let size = 1; size < 12; size += 1) {
      const parser = new SseParser();
      const messages = [];
      for (let at = 0; at < STREAM.length; at += size) messages.push(...parser.push(STREAM.slice(at, at + size)));
      expect(messages).toEqual(WHOLE);
    }
  });

  it("keeps an unfinished message back", () => {
    const parser = new SseParser();
    expect(parser.push("data: half")).toEqual([]);
    expect(parser.push("\n\n")).toHaveLength(1);
  });
});
