"use client";

import { useMutation } from "@tanstack/react-query";
import { Icon } from "@/components/ui/icon";
import { signOut } from "@/lib/api/endpoints";
import { useMe } from "../use-me";

/** Who is signed in, and the way out. */
export function AccountMenu() {
  const me = useMe();
  const leave = useMutation({ mutationFn: signOut, onSettled: () => window.location.assign("/login") });
  if (!me.data) return null;
  const { name, email } = me.data.user;
  return (
    <button
      type="button"
      title={`Signed in as ${name || email}. Sign out.`}
      aria-label={`Sign out ${name || email}`}
      onClick={() => leave.mutate()}
      className="inline-flex min-h-9 items-center gap-2 rounded-lg px-2.5 text-sm text-muted hover:bg-sunken hover:text-fg"
    >
      <span className="hidden max-w-40 truncate md:inline">{name || email}</span>
      <Icon name="signOut" />
    </button>
  );
}
