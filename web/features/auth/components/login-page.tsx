"use client";

import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Card, SkeletonRows } from "@/components/ui/card";
import { ErrorCard } from "@/components/ui/error-card";
import { Brand } from "@/components/shell/shell";
import { ThemeButton } from "@/components/shell/theme-switch";
import { setupNeeded } from "@/lib/api/endpoints";
import { safeNext, setupTokenOf } from "../next-path";
import { FirstRunForm } from "./first-run-form";
import { SignInForm } from "./sign-in-form";

interface Arrival {
  next: string;
  token: string;
}

/** Sign-in, or the first-run form of an instance that has no account yet. */
export function LoginPage() {
  const [arrival, setArrival] = useState<Arrival | null>(null);
  const setup = useQuery({ queryKey: ["setup"], queryFn: setupNeeded });

  useEffect(() => {
    const { search, hash } = window.location;
    const token = setupTokenOf(search, hash);
    // The address is known only in the browser, after the prebuilt page has loaded.
    // eslint-disable-next-line react-hooks/set-state-in-effect
    setArrival({ next: safeNext(new URLSearchParams(search).get("next")), token });
    // A one-time secret should not stay in the address bar or the history.
    if (token) window.history.replaceState(null, "", window.location.pathname);
  }, []);

  return (
    <main className="mx-auto flex min-h-dvh w-full max-w-md flex-col justify-center gap-5 px-4 py-10">
      <div className="flex items-center justify-between text-lg">
        <Brand />
        <ThemeButton />
      </div>
      <Card>
        {setup.error && <ErrorCard what="HyperCode could not be reached." error={setup.error} onRetry={() => void setup.refetch()} />}
        {(setup.isPending || !arrival) && !setup.error && <SkeletonRows rows={3} label="Loading" />}
        {setup.data && arrival && (setup.data.needed ? <FirstRunForm token={arrival.token} /> : <SignInForm next={arrival.next} />)}
      </Card>
    </main>
  );
}
