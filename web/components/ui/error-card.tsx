import { Button } from "./button";
import { Icon } from "./icon";

interface Described {
  message?: string;
  hint?: string;
  requestId?: string;
}

/** What failed, what to do, the id to look it up by, and one way to try again. */
export function ErrorCard({ what, error, onRetry }: { what: string; error: unknown; onRetry?: () => void }) {
  const { message, hint, requestId } = (error ?? {}) as Described;
  return (
    <div role="alert" className="flex w-full flex-wrap items-start gap-3 rounded-xl border border-err/50 bg-err-soft px-4 py-3 text-sm">
      <Icon name="alert" className="mt-0.5 text-err" />
      <div className="flex min-w-48 flex-1 flex-col gap-1">
        <p className="font-semibold text-err">{what}</p>
        {message && <p>{message}</p>}
        {hint && <p className="text-muted">{hint}</p>}
        {requestId && (
          <p className="text-muted">
            Request <code className="font-mono text-xs break-all">{requestId}</code>
          </p>
        )}
      </div>
      {onRetry && (
        <Button icon="retry" onClick={onRetry}>
          Try again
        </Button>
      )}
    </div>
  );
}
