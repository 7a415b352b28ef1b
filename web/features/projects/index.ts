export { ConnectProjectForm } from "./components/connect-project-form";
export { ProjectsPage } from "./components/projects-page";
export { useProjects } from "./use-projects";
