"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Ago } from "@/components/ui/ago";
import { Button } from "@/components/ui/button";
import { Card, SkeletonRows } from "@/components/ui/card";
import { Notice } from "@/components/ui/chip";
import { CopyButton } from "@/components/ui/copy-button";
import { ConfirmDialog } from "@/components/ui/dialog";
import { ErrorCard } from "@/components/ui/error-card";
import { TextField } from "@/components/ui/field";
import { createToken, listTokens, revokeToken } from "@/lib/api/endpoints";
import type { ApiToken } from "@/lib/api/types";

const TOKENS = ["tokens"];

export function TokensSection() {
  const client = useQueryClient();
  const tokens = useQuery({ queryKey: TOKENS, queryFn: listTokens });
  const [name, setName] = useState("");
  const [leaving, setLeaving] = useState<ApiToken | null>(null);
  const refresh = () => client.invalidateQueries({ queryKey: TOKENS });
  const create = useMutation({
    mutationFn: createToken,
    onSuccess: () => {
      setName("");
      return refresh();
    },
  });
  const revoke = useMutation({ mutationFn: revokeToken, onSuccess: refresh, onSettled: () => setLeaving(null) });

  return (
    <Card>
      <h2 className="text-lg font-semibold">API tokens</h2>
      <p className="mb-4 text-sm text-muted">For programs that call HyperCode as you.</p>
      <div className="flex flex-col gap-4">
        <form
          className="flex flex-wrap items-end gap-2"
          onSubmit={(event) => {
            event.preventDefault();
            if (name.trim()) create.mutate(name.trim());
          }}
        >
          <div className="min-w-48 flex-1">
            <TextField label="Name of the new token" value={name} onChange={(event) => setName(event.target.value)} placeholder="CI on my laptop" autoComplete="off" maxLength={100} />
          </div>
          <Button type="submit" icon="key" disabled={!name.trim()} busy={create.isPending}>
            Make a token
          </Button>
        </form>
        {create.error && <ErrorCard what="The token was not made." error={create.error} />}
        {create.data && <NewSecret name={create.data.token.name} secret={create.data.secret} onDone={create.reset} />}
        {tokens.isPending && <SkeletonRows rows={2} label="Loading tokens" />}
        {tokens.error && <ErrorCard what="The tokens could not be loaded." error={tokens.error} onRetry={() => void tokens.refetch()} />}
        {revoke.error && <ErrorCard what="The token was not revoked." error={revoke.error} />}
        {tokens.data?.length === 0 && !create.data && <p className="text-sm text-muted">No token yet.</p>}
        {tokens.data && tokens.data.length > 0 && <TokenList tokens={tokens.data} onRevoke={setLeaving} />}
      </div>
      <ConfirmDialog
        open={leaving !== null}
        title={`Revoke “${leaving?.name ?? ""}”?`}
        action="Revoke"
        keep="Keep it"
        busy={revoke.isPending}
        onClose={() => setLeaving(null)}
        onConfirm={() => leaving && revoke.mutate(leaving.id)}
      >
        Programs that use it lose access at once. This can’t be undone.
      </ConfirmDialog>
    </Card>
  );
}

function TokenList({ tokens, onRevoke }: { tokens: ApiToken[]; onRevoke: (token: ApiToken) => void }) {
  return (
    <ul className="divide-y divide-line rounded-lg border border-line">
      {tokens.map((token) => (
        <li key={token.id} className="flex flex-wrap items-center justify-between gap-2 px-3 py-2.5 text-sm">
          <div>
            <p className="font-medium">{token.name}</p>
            <p className="text-muted">
              Made <Ago at={token.created_at} /> · {token.last_used_at ? <>last used <Ago at={token.last_used_at} /></> : "never used"}
            </p>
          </div>
          <Button variant="danger" onClick={() => onRevoke(token)}>
            Revoke<span className="sr-only"> {token.name}</span>
          </Button>
        </li>
      ))}
    </ul>
  );
}

function NewSecret({ name, secret, onDone }: { name: string; secret: string; onDone: () => void }) {
  return (
    <Notice tone="ok" role="status" title={`Token “${name}”: copy it now`}>
      <p className="mb-2 text-muted">It is shown this once and kept nowhere in readable form.</p>
      <code className="mb-3 block rounded-md bg-card px-2 py-1.5 font-mono text-xs break-all select-all">{secret}</code>
      <div className="flex flex-wrap gap-2">
        <CopyButton text={secret} />
        <Button variant="quiet" onClick={onDone}>
          I have it
        </Button>
      </div>
    </Notice>
  );
}
