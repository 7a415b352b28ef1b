export { NewTaskPage } from "./components/new-task-page";
export { TasksPage } from "./components/tasks-page";
