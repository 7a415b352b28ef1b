"use client";

import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { Button } from "@/components/ui/button";
import { ErrorCard } from "@/components/ui/error-card";
import { TextField } from "@/components/ui/field";
import { signIn } from "@/lib/api/endpoints";

export function SignInForm({ next }: { next: string }) {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const enter = useMutation({ mutationFn: signIn, onSuccess: () => window.location.assign(next) });
  return (
    <form
      className="flex flex-col gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        enter.mutate({ email: email.trim(), password });
      }}
    >
      <h1 className="text-xl font-semibold">Sign in</h1>
      <TextField label="Email" type="email" name="email" autoComplete="username" required value={email} onChange={(event) => setEmail(event.target.value)} />
      <TextField label="Password" type="password" name="password" autoComplete="current-password" required value={password} onChange={(event) => setPassword(event.target.value)} />
      {enter.error && <ErrorCard what="You are not signed in." error={enter.error} />}
      <Button type="submit" variant="primary" busy={enter.isPending || enter.isSuccess}>
        Sign in
      </Button>
    </form>
  );
}
