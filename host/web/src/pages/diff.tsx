import { mount } from "../lib/mount.ts";

mount(<h1>Compare</h1>);
