/** Events of a run: one payload type for each type of event, generated from the gateway's document. */
import type { components } from "./schema";

type Schemas = components["schemas"];

/** An event as the stream sends it; a switch over `type` narrows `payload`. */
export type RunEvent = Schemas["StreamedEvent"];
export type EventType = RunEvent["type"];
export type EventOf<T extends EventType> = Extract<RunEvent, { type: T }>;
export type Payloads = { [T in EventType]: EventOf<T>["payload"] };

export type Plan = Schemas["Plan"];
export type Finding = Schemas["Finding"];
export type Verdict = Schemas["Verdict"];
export type PlanItemStatus = Payloads["plan_item.changed"]["status"];
