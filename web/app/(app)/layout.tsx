import type { ReactNode } from "react";
import { Shell } from "@/components/shell/shell";
import { PendingCount } from "@/features/approvals";
import { AccountMenu, AuthGate } from "@/features/auth";

export default function AppLayout({ children }: { children: ReactNode }) {
  return (
    <Shell account={<AccountMenu />} badges={{ "/approvals": <PendingCount /> }}>
      <AuthGate>{children}</AuthGate>
    </Shell>
  );
}
