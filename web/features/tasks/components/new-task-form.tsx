"use client";

import { useState, type KeyboardEvent } from "react";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { ErrorCard } from "@/components/ui/error-card";
import { CheckField, ChoiceField, SelectField, TextArea, TextField } from "@/components/ui/field";
import type { Project } from "@/lib/api/types";
import { EMPTY_DRAFT, type Draft } from "../model/draft";
import { useCreateTask } from "../use-create-task";
import { ModelField } from "./model-field";

interface Props {
  projects: Project[];
  projectId: string;
  onProject: (id: string) => void;
  onConnect: () => void;
}

/** The composer: a prompt and a project are enough, the rest has good defaults. */
export function NewTaskForm({ projects, projectId, onProject, onConnect }: Props) {
  const [draft, setDraft] = useState<Draft>(EMPTY_DRAFT);
  const create = useCreateTask();
  const change = (part: Partial<Draft>) => setDraft((before) => ({ ...before, ...part }));
  const ready = draft.prompt.trim() !== "" && projectId !== "";
  const project = projects.find((each) => each.id === projectId);

  function send() {
    if (ready && !create.isPending) create.mutate({ ...draft, projectId });
  }

  function sendByKey(event: KeyboardEvent) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      send();
    }
  }

  return (
    <Card>
      <form
        aria-label="New task"
        className="flex flex-col gap-5"
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
        <TextArea
          label="Task"
          required
          rows={5}
          value={draft.prompt}
          onChange={(event) => change({ prompt: event.target.value })}
          onKeyDown={sendByKey}
          placeholder="The test for empty carts fails. Find out why and fix it."
        />
        <div className="grid gap-4 sm:grid-cols-2">
          <div className="flex flex-col items-start gap-1.5">
            <div className="w-full">
              <SelectField label="Project" value={projectId} onChange={(event) => onProject(event.target.value)}>
                {projects.map((each) => (
                  <option key={each.id} value={each.id}>
                    {each.name}
                  </option>
                ))}
              </SelectField>
            </div>
            <button type="button" onClick={onConnect} className="min-h-6 text-[0.8125rem] text-accent underline-offset-2 hover:underline">
              Connect another project
            </button>
          </div>
          <ModelField value={draft.model} onChange={(model) => change({ model })} />
        </div>
        <ChoiceField
          label="Way of working"
          value={draft.routing}
          onChange={(routing) => change({ routing })}
          choices={[
            { value: "auto", label: "Decide for me", hint: "By a simple rule that is shown" },
            { value: "coder", label: "Straight to a Coder", hint: "For one clear change" },
            { value: "architect", label: "Plan first", hint: "For several parts" },
          ]}
        />
        <details className="group">
          <summary className="min-h-6 text-sm font-medium text-muted hover:text-fg">More options</summary>
          <div className="mt-4 flex flex-col gap-4">
            <TextArea
              label="Checks"
              optional
              rows={2}
              value={draft.checks}
              onChange={(event) => change({ checks: event.target.value })}
              hint="One command a line, for example: python -m pytest. Leave empty and HyperCode finds them."
              spellCheck={false}
            />
            <TextField
              label="Most turns"
              optional
              type="number"
              min={1}
              max={1000}
              inputMode="numeric"
              value={draft.maxTurns}
              onChange={(event) => change({ maxTurns: event.target.value })}
              placeholder="100"
              hint="A turn is one model call with the tools it asks for."
            />
            {project?.source_kind === "local_path" && (
              <CheckField
                label="Take uncommitted changes along"
                hint="Otherwise the work starts from the last commit."
                checked={draft.includeDirty}
                onChange={(includeDirty) => change({ includeDirty })}
              />
            )}
          </div>
        </details>
        {create.error && <ErrorCard what="The task was not started. Your text is still here." error={create.error} />}
        <div className="flex items-center gap-3">
          <Button type="submit" variant="primary" icon="bolt" disabled={!ready} busy={create.isPending || create.isSuccess}>
            Start the task
          </Button>
          <span className="hidden text-[0.8125rem] text-muted sm:inline">Ctrl or ⌘ with Enter</span>
        </div>
      </form>
    </Card>
  );
}
