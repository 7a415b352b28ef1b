import type { ReactNode } from "react";
import { Shell } from "@/components/shell/shell";
import { AccountMenu, AuthGate } from "@/features/auth";

export default function AppLayout({ children }: { children: ReactNode }) {
  return (
    <Shell account={<AccountMenu />}>
      <AuthGate>{children}</AuthGate>
    </Shell>
  );
}
