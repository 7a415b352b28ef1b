import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "next/navigation";
import { useRef } from "react";
import { createTask } from "@/lib/api/endpoints";
import { newIdempotencyKey, requestOf, type Draft } from "./model/draft";

/** Send a draft and open its task. The same draft sent twice makes one task. */
export function useCreateTask() {
  const router = useRouter();
  const client = useQueryClient();
  const sent = useRef({ body: "", key: "" });
  return useMutation({
    mutationFn: (draft: Draft) => {
      const request = requestOf(draft);
      const body = JSON.stringify(request);
      if (sent.current.body !== body) sent.current = { body, key: newIdempotencyKey() };
      return createTask(request, sent.current.key);
    },
    onSuccess: ({ task_id }) => {
      void client.invalidateQueries({ queryKey: ["tasks"] });
      router.push(`/task?id=${task_id}`);
    },
  });
}
