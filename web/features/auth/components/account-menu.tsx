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
    <>
      <span title={`Signed in as ${email}`} className="hidden max-w-40 truncate px-2 text-sm text-muted md:inline">
        {name || email}
      </span>
      <button
        type="button"
        title="Sign out"
        aria-label={`Sign out ${name || email}`}
        onClick={() => leave.mutate()}
        className="inline-flex size-9 items-center justify-center rounded-lg text-muted hover:bg-sunken hover:text-fg"
      >
        <Icon name="signOut" />
      </button>
    </>
  );
}
