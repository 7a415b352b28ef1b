"use client";

import { SelectField } from "@/components/ui/field";
import { Notice } from "@/components/ui/chip";
import { ErrorCard } from "@/components/ui/error-card";
import { useModels } from "../use-tasks";

const BUILTIN = "builtin/repair";

/** Which model works. What can't be used says why; with no model connected it says so before the start. */
export function ModelField({ value, onChange }: { value: string; onChange: (model: string) => void }) {
  const models = useModels();
  if (models.error) return <ErrorCard what="The models could not be loaded." error={models.error} onRetry={() => void models.refetch()} />;
  const items = models.data?.items ?? [];
  const chosen = value || models.data?.default || "";
  const note = items.find((model) => model.name === chosen)?.note;
  const builtin = chosen === BUILTIN;
  return (
    <div className="flex flex-col gap-2">
      <SelectField label="Model" value={chosen} onChange={(event) => onChange(event.target.value)} disabled={!models.data} hint={builtin ? undefined : note}>
        {items.map((model) => (
          <option key={model.name} value={model.name} disabled={!model.available}>
            {model.label}
            {model.available ? "" : " (not connected)"}
          </option>
        ))}
      </SelectField>
      {builtin && note && <Notice tone="warn">{note}</Notice>}
    </div>
  );
}
