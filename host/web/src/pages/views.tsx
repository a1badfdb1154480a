import { mount } from "../lib/mount.ts";

mount(<h1>Views</h1>);
