import { mount } from "../lib/mount.ts";

mount(<h1>Overview</h1>);
