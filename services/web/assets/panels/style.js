// The panels' own styles. A panel waits for them, so that it is never seen without.
import { stylesheet } from "../app/parts.js";

await stylesheet("/panels/panels.css");
