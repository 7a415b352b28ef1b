import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useMe } from "@/features/auth";
import { answerQuestion, decideApproval, listApprovals, listQuestions, withdrawApproval } from "@/lib/api/endpoints";
import type { Decision } from "@/lib/api/types";

const APPROVALS = "approvals";
const QUESTIONS = "questions";
const PACE_MS = 5_000;
const MANY = 100;

/** The count of these stands in the frame of every page, which is there before anybody is signed in. */
function useSignedIn(): boolean {
  return useMe().data !== undefined;
}

export function usePendingApprovals() {
  const enabled = useSignedIn();
  return useQuery({ enabled, queryKey: [APPROVALS, "pending"], queryFn: () => listApprovals({ state: "pending", limit: MANY }), refetchInterval: PACE_MS });
}

/** Those that still let calls pass beyond a single one. */
export function useApproved() {
  return useQuery({ queryKey: [APPROVALS, "approved"], queryFn: () => listApprovals({ state: "approved", limit: MANY }), refetchInterval: 6 * PACE_MS });
}

export function useRecentApprovals() {
  return useQuery({ queryKey: [APPROVALS, "recent"], queryFn: () => listApprovals({ limit: 30 }), refetchInterval: 6 * PACE_MS });
}

export function useOpenQuestions() {
  const enabled = useSignedIn();
  return useQuery({ enabled, queryKey: [QUESTIONS, "open"], queryFn: () => listQuestions({ state: "open", limit: MANY }), refetchInterval: PACE_MS });
}

/** Whatever comes of it, what is shown is read again: somebody else may have been faster. */
function useRefresh(key: string) {
  const client = useQueryClient();
  return () => client.invalidateQueries({ queryKey: [key] });
}

export function useDecide(id: string) {
  return useMutation({ mutationFn: (decision: Decision) => decideApproval(id, decision), onSettled: useRefresh(APPROVALS) });
}

export function useWithdraw() {
  return useMutation({ mutationFn: withdrawApproval, onSettled: useRefresh(APPROVALS) });
}

export function useAnswer(id: string) {
  return useMutation({ mutationFn: (answer: string) => answerQuestion(id, answer), onSettled: useRefresh(QUESTIONS) });
}
