// The shapes of datasets as the API speaks them. Knows no behaviour.

import type { DatasetTask } from "../types";

export interface Dataset {
  id: string;
  name: string;
  trigger: string;
  version: number;
  pictures: number;
  captioned: number;
  bytes: number;
  undo: number;
  changed: string;
}
export interface Picture {
  id: string;
  name: string;
  url: string;
  thumb: string;
  width: number;
  height: number;
  mime: string;
  bytes: number;
  caption: string;
  version: number;
}
export interface Now {
  dataset: Dataset;
  pictures: Picture[];
  task: DatasetTask | null;
}
export interface Cut {
  id: string;
  bucket: [number, number] | null;
  kept: [number, number, number, number];
  small: boolean;
}
export interface Buckets {
  resolution: number;
  buckets: { width: number; height: number; count: number }[];
  small: number;
  unusable: number;
  pictures: Cut[];
}
