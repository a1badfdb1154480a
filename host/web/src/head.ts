// Stands in the head of every page and runs before anything is drawn: the theme that was chosen, or none of a wrong colour flashes.
import { apply, chosen } from "./lib/theme.ts";

apply(chosen());
