import { mount } from "../lib/mount.ts";

mount(<h1>Modules</h1>);
