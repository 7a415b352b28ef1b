"use client";

import { useEffect, type ReactNode } from "react";
import { ErrorCard } from "@/components/ui/error-card";
import { SkeletonRows } from "@/components/ui/card";
import { ApiError, setUnauthenticatedHandler } from "@/lib/api/client";
import { useMe } from "../use-me";

function goToLogin() {
  const here = window.location.pathname + window.location.search;
  window.location.assign(`/login?next=${encodeURIComponent(here)}`);
}

/** Shows its children to a person who is signed in; everybody else goes to the sign-in and comes back. */
export function AuthGate({ children }: { children: ReactNode }) {
  const me = useMe();
  useEffect(() => {
    setUnauthenticatedHandler(goToLogin);
    return () => setUnauthenticatedHandler(() => undefined);
  }, []);
  const leaving = me.error instanceof ApiError && me.error.status === 401;
  if (me.data) return children;
  if (me.error && !leaving) {
    return <ErrorCard what="HyperCode could not be reached." error={me.error} onRetry={() => void me.refetch()} />;
  }
  return <SkeletonRows rows={3} label="Loading" />;
}
