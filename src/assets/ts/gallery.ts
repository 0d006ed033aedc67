// gallery
export {};
