export { GradeChip, RunStatusChip } from "./components/chips";
export { RunPage } from "./components/run-page";
