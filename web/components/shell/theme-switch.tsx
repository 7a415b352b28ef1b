"use client";

import { ChoiceField } from "@/components/ui/field";
import { Icon } from "@/components/ui/icon";
import { useTheme, type Theme } from "@/lib/preferences";

const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };
const ICON = { system: "monitor", light: "sun", dark: "moon" } as const;

/** One small button that goes round the three themes. */
export function ThemeButton() {
  const [theme, choose] = useTheme();
  const words = `Theme: ${theme}. Switch to ${NEXT[theme]}.`;
  return (
    <button type="button" title={words} aria-label={words} onClick={() => choose(NEXT[theme])} className="inline-flex size-9 items-center justify-center rounded-lg text-muted hover:bg-sunken hover:text-fg">
      <Icon name={ICON[theme]} />
    </button>
  );
}

/** The same choice in words, for the settings. */
export function ThemeField() {
  const [theme, choose] = useTheme();
  return (
    <ChoiceField
      label="Theme"
      value={theme}
      onChange={choose}
      choices={[
        { value: "system", label: "As the system" },
        { value: "light", label: "Light" },
        { value: "dark", label: "Dark" },
      ]}
    />
  );
}
