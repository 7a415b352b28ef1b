"use client";

import { useState } from "react";
import { Button } from "@/components/ui/button";
import { ErrorCard } from "@/components/ui/error-card";
import { TextField } from "@/components/ui/field";
import type { Project } from "@/lib/api/types";
import { nameOfSource } from "@/lib/format/format";
import { KIND_WORDS, sourceKindOf } from "../source";
import { useConnectProject } from "../use-projects";

interface Props {
  onConnected: (project: Project) => void;
  onCancel?: () => void;
}

/** Connect a repository: one field is enough, the kind and the name follow from it. */
export function ConnectProjectForm({ onConnected, onCancel }: Props) {
  const [source, setSource] = useState("");
  const [name, setName] = useState("");
  const connect = useConnectProject();
  const given = source.trim();
  const kind = sourceKindOf(given);

  function submit() {
    const body = { source: given, source_kind: kind, name: name.trim() || nameOfSource(given) || undefined };
    connect.mutate(body, { onSuccess: onConnected });
  }

  return (
    <form
      aria-label="Connect a project"
      className="flex flex-col gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        // The composer is a form too, and React lets events of portals and children through.
        event.stopPropagation();
        submit();
      }}
    >
      <TextField
        label="Folder or Git URL"
        required
        value={source}
        onChange={(event) => setSource(event.target.value)}
        placeholder="/home/me/code/shop or https://…/shop.git"
        hint={given ? `Read as: ${KIND_WORDS[kind]}` : "An absolute path on the machine that runs HyperCode, or an https Git URL."}
        autoComplete="off"
        spellCheck={false}
      />
      <TextField label="Name" optional value={name} onChange={(event) => setName(event.target.value)} placeholder={nameOfSource(given)} autoComplete="off" maxLength={100} />
      {connect.error && <ErrorCard what="The project was not connected." error={connect.error} />}
      <div className="flex flex-wrap gap-2">
        <Button type="submit" variant="primary" disabled={!given} busy={connect.isPending}>
          Connect
        </Button>
        {onCancel && <Button onClick={onCancel}>Cancel</Button>}
      </div>
    </form>
  );
}
