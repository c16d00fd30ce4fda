import { DropdownMenu } from 'bits-ui';
import Content from './content.svelte';
import Hanging from './hanging.svelte';
import SubContent from './sub-content.svelte';

export const Root = DropdownMenu.Root;
export const Trigger = DropdownMenu.Trigger;
export const Item = DropdownMenu.Item;
export const RadioGroup = DropdownMenu.RadioGroup;
export const RadioItem = DropdownMenu.RadioItem;
export const Group = DropdownMenu.Group;
export const GroupHeading = DropdownMenu.GroupHeading;
export const Separator = DropdownMenu.Separator;
export const Sub = DropdownMenu.Sub;
export const SubTrigger = DropdownMenu.SubTrigger;
export { Content, Hanging, SubContent };
