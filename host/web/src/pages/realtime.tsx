import { mount } from "../lib/mount.ts";

mount(<h1>Realtime</h1>);
