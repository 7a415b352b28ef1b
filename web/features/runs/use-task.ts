import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { cancelRun, getTask, listArtifacts, listDeployments, previewUrl, readArtifact, stopDeployment } from "@/lib/api/endpoints";

/** The task, its project and all its runs; read again whenever `revision` (a count of big events) moves. */
export function useTask(id: string) {
  return useQuery({ queryKey: ["task", id], queryFn: () => getTask(id), enabled: id !== "" });
}

export function useStop(taskId: string) {
  const client = useQueryClient();
  return useMutation({ mutationFn: cancelRun, onSuccess: () => client.invalidateQueries({ queryKey: ["task", taskId] }) });
}

/** Artifacts never change under their id, so one download is enough. */
export function useArtifactText(id: string | null) {
  return useQuery({
    queryKey: ["artifact", id],
    queryFn: () => readArtifact(id ?? ""),
    enabled: id !== null,
    staleTime: Infinity,
  });
}

/** `seq` of the newest event that may have brought one makes the list fresh. */
export function useArtifacts(runId: string, marker: string) {
  return useQuery({ queryKey: ["artifacts", runId, marker], queryFn: () => listArtifacts(runId), placeholderData: (before) => before });
}

/** Read again whenever the run's events said that one changed, and after a person stopped one. */
export function useDeployments(taskId: string, changes: number) {
  return useQuery({ queryKey: ["deployments", taskId, changes], queryFn: () => listDeployments(taskId), placeholderData: (before) => before });
}

export function useStopDeployment(taskId: string) {
  const client = useQueryClient();
  return useMutation({ mutationFn: stopDeployment, onSuccess: () => client.invalidateQueries({ queryKey: ["deployments", taskId] }) });
}

/** Asks for a way in, and opens the preview apart: it learns nothing of this page, and can't reach it. */
export function useOpenPreview() {
  return useMutation({
    mutationFn: previewUrl,
    onSuccess: (url) => {
      const link = document.createElement("a");
      link.href = url;
      link.target = "_blank";
      link.rel = "noopener noreferrer";
      link.click();
    },
  });
}
