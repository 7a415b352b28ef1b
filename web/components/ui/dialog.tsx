"use client";

import { useEffect, useId, useRef, type ReactNode } from "react";
import { Button } from "./button";

/** A native modal dialog: Esc closes, focus stays inside and returns afterwards. */
export function Dialog({ open, title, onClose, children }: { open: boolean; title: string; onClose: () => void; children: ReactNode }) {
  const ref = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const dialog = ref.current;
    if (!dialog) return;
    if (open && !dialog.open) dialog.showModal();
    if (!open && dialog.open) dialog.close();
  }, [open]);
  return (
    <dialog
      ref={ref}
      aria-labelledby={heading}
      onClose={onClose}
      className="m-auto w-[min(30rem,calc(100vw-2rem))] rounded-2xl border border-line bg-card p-5 text-fg shadow-xl"
    >
      <h2 id={heading} className="text-lg font-semibold">
        {title}
      </h2>
      {open && <div className="mt-2 flex flex-col gap-4 text-sm">{children}</div>}
    </dialog>
  );
}

/** Ask before something that can't be undone; the words say what will happen. */
export function ConfirmDialog(props: {
  open: boolean;
  title: string;
  action: string;
  keep: string;
  busy?: boolean;
  onConfirm: () => void;
  onClose: () => void;
  children: ReactNode;
}) {
  return (
    <Dialog open={props.open} title={props.title} onClose={props.onClose}>
      <div className="text-muted">{props.children}</div>
      <div className="flex flex-wrap justify-end gap-2">
        <Button onClick={props.onClose}>{props.keep}</Button>
        <Button variant="danger" busy={props.busy} onClick={props.onConfirm}>
          {props.action}
        </Button>
      </div>
    </Dialog>
  );
}
