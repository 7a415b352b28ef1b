"use client";

import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { Button } from "@/components/ui/button";
import { Notice } from "@/components/ui/chip";
import { ErrorCard } from "@/components/ui/error-card";
import { TextField } from "@/components/ui/field";
import { Icon } from "@/components/ui/icon";
import { setUpAdmin } from "@/lib/api/endpoints";
import { passwordRules } from "../password-rules";

/** Makes the first account, an admin's. The token shows that this person started the server. */
export function FirstRunForm({ token: arrived }: { token: string }) {
  const [token, setToken] = useState(arrived);
  const [email, setEmail] = useState("");
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const create = useMutation({ mutationFn: setUpAdmin, onSuccess: () => window.location.assign("/") });
  const rules = passwordRules(password);
  const ready = rules.every((rule) => rule.met);
  return (
    <form
      className="flex flex-col gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        if (ready) create.mutate({ token: token.trim(), email: email.trim(), name: name.trim(), password });
      }}
    >
      <div>
        <h1 className="text-xl font-semibold">Welcome to HyperCode</h1>
        <p className="mt-1 text-sm text-muted">Make the first account. It is the admin of this instance.</p>
      </div>
      {!arrived && (
        <>
          <Notice tone="warn" title="The first-run token is missing">
            Open the link that <code className="font-mono">hypercode up</code> printed, or paste its token here.
          </Notice>
          <TextField label="First-run token" required value={token} onChange={(event) => setToken(event.target.value)} autoComplete="off" />
        </>
      )}
      <TextField label="Name" name="name" autoComplete="name" required value={name} onChange={(event) => setName(event.target.value)} />
      <TextField label="Email" type="email" name="email" autoComplete="username" required value={email} onChange={(event) => setEmail(event.target.value)} />
      <TextField
        label="Password"
        type="password"
        name="password"
        autoComplete="new-password"
        required
        value={password}
        onChange={(event) => setPassword(event.target.value)}
        hint={
          <ul className="flex flex-col gap-0.5">
            {rules.map((rule) => (
              <li key={rule.words} className={`flex items-center gap-1.5 ${rule.met ? "text-ok" : ""}`}>
                <Icon name={rule.met ? "check" : "dot"} />
                {rule.words}
                <span className="sr-only">{rule.met ? "(met)" : "(not yet)"}</span>
              </li>
            ))}
          </ul>
        }
      />
      {create.error && <ErrorCard what="The account was not made." error={create.error} />}
      <Button type="submit" variant="primary" disabled={!ready} busy={create.isPending || create.isSuccess}>
        Make the admin account
      </Button>
    </form>
  );
}
