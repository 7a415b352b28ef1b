/** The API's nouns by short names; the shapes are generated from the gateway's OpenAPI document. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type RunStatus = Schemas["RunStatus"];
export type WaitReason = Schemas["WaitReason"];
export type Grade = Schemas["Grade"];
export type AgentRole = Schemas["AgentRole"];
export type SourceKind = Schemas["SourceKind"];
export type Project = Schemas["Project"];
export type NewProject = Schemas["NewProject"];
export type Task = Schemas["Task"];
export type NewTask = Schemas["NewTask"];
export type Routing = NonNullable<NewTask["routing"]>;
export type TaskSummary = Schemas["TaskSummary"];
export type TaskPage = Schemas["TaskPage"];
export type TaskDetail = Schemas["TaskDetail"];
export type Run = Schemas["Run"];
export type EventPage = Schemas["EventPage"];
export type Artifact = Schemas["Artifact"];
export type Deployment = Schemas["Deployment"];
export type ApiToken = Schemas["ApiToken"];
export type Approval = Schemas["Approval"];
export type ApprovalState = Schemas["ApprovalState"];
export type ApprovalScope = Schemas["ApprovalScope"];
export type Decision = Schemas["Decision"];
export type Preview = Schemas["Preview"];
export type Touched = Schemas["Touched"];
export type Question = Schemas["Question"];
export type QuestionState = Schemas["QuestionState"];
export type PersonRole = Schemas["PersonRole"];
export type Problem = Schemas["Problem"];
