"use client";

import { useId, useState, type ReactNode } from "react";
import { Ago } from "@/components/ui/ago";
import { Button } from "@/components/ui/button";
import { ErrorCard } from "@/components/ui/error-card";
import { ChoiceField, TextArea } from "@/components/ui/field";
import { Icon } from "@/components/ui/icon";
import type { Question } from "@/lib/api/types";
import { useAnswer } from "../use-approvals";

type Asked = Pick<Question, "id" | "question" | "options" | "expires_at">;

/** A question of the agent's: its options, and room for a person's own words. */
export function QuestionCard({ question, children }: { question: Asked; children?: ReactNode }) {
  const heading = useId();
  const answer = useAnswer(question.id);
  const [chosen, setChosen] = useState("");
  const [words, setWords] = useState("");
  const said = words.trim() || chosen;
  return (
    <section aria-labelledby={heading} className="flex flex-col gap-3 rounded-xl border border-warn/50 bg-card p-4 sm:p-5">
      <div className="flex flex-wrap items-baseline justify-between gap-x-4 gap-y-1">
        <h2 id={heading} className="flex items-center gap-2 font-semibold">
          <Icon name="help" className="text-warn" />
          The agent asks you
        </h2>
        <p className="text-[0.8125rem] text-muted">
          Goes on without it <Ago at={question.expires_at} />
        </p>
      </div>
      {children}
      <p className="max-w-prose break-words whitespace-pre-wrap">{question.question}</p>
      <form
        className="flex flex-col gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          if (said) answer.mutate(said);
        }}
      >
        {question.options.length > 0 && (
          <ChoiceField label="Choose one" value={chosen} choices={question.options.map((option) => ({ value: option, label: option }))} onChange={setChosen} />
        )}
        <TextArea label={question.options.length > 0 ? "Or in your own words" : "Your answer"} rows={2} maxLength={8000} value={words} onChange={(event) => setWords(event.target.value)} />
        {answer.error && <ErrorCard what="Your answer was not taken." error={answer.error} />}
        <div>
          <Button type="submit" variant="primary" disabled={!said} busy={answer.isPending || answer.isSuccess}>
            Answer
          </Button>
        </div>
      </form>
    </section>
  );
}
