import { mount } from "../lib/mount.ts";

mount(<h1>Trend</h1>);
