export { ApprovalCard } from "./components/approval-card";
export { ApprovalsPage } from "./components/approvals-page";
export { PendingCount } from "./components/pending-count";
export { QuestionCard } from "./components/question-card";
