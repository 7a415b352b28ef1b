"use client";

import { Card, PageHeading } from "@/components/ui/card";
import { CheckField } from "@/components/ui/field";
import { ThemeField } from "@/components/shell/theme-switch";
import { useShortcuts } from "@/lib/preferences";
import { TokensSection } from "./tokens-section";

export function SettingsPage() {
  const [shortcuts, setShortcuts] = useShortcuts();
  return (
    <div className="mx-auto max-w-3xl">
      <PageHeading title="Settings" />
      <div className="flex flex-col gap-5">
        <Card>
          <h2 className="mb-3 text-lg font-semibold">On this device</h2>
          <div className="flex flex-col gap-5">
            <ThemeField />
            <CheckField label="Keyboard shortcuts" hint="Single letters such as g then t. Press ? to see them all." checked={shortcuts} onChange={setShortcuts} />
          </div>
        </Card>
        <TokensSection />
      </div>
    </div>
  );
}
