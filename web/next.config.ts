import path from "node:path";
import type { NextConfig } from "next";

/** A static export only: the gateway serves it, so there is no Node at run time. */
const config: NextConfig = {
  output: "export",
  distDir: ".next-export",
  images: { unoptimized: true },
  poweredByHeader: false,
  reactStrictMode: true,
  turbopack: { root: path.resolve(import.meta.dirname) },
};

export default config;
