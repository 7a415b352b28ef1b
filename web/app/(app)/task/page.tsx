import type { Metadata } from "next";
import { RunPage } from "@/features/runs";

export const metadata: Metadata = { title: "Task" };

export default function Page() {
  return <RunPage />;
}
