import { effect, signal } from "@preact/signals";

/** Plays a sound and says where it is. */
export class Player {
  readonly playing = signal(false);
  /** In s. */
  readonly position = signal(0);
  private readonly audio = new Audio();
  private readonly url: string;
  private readonly stopFollowing: () => void;

  constructor(blob: Blob) {
    this.url = URL.createObjectURL(blob);
    this.audio.src = this.url;
    this.audio.onplay = () => (this.playing.value = true);
    this.audio.onpause = () => (this.playing.value = false);
    this.stopFollowing = effect(() => (this.playing.value ? this.follow() : undefined));
  }

  toggle(): void {
    if (this.playing.peek()) this.audio.pause();
    // Playing can be refused (no output device): the button then stays as it is.
    else void this.audio.play().catch(() => {});
  }

  /** @param time within the sound, in s */
  seek(time: number): void {
    this.audio.currentTime = time;
    this.position.value = time;
  }

  close(): void {
    this.audio.pause();
    this.stopFollowing();
    URL.revokeObjectURL(this.url);
  }

  /** `timeupdate` comes four times a second, too rarely for a moving line: each picture asks by itself. */
  private follow(): () => void {
    let frame = 0;
    const step = () => {
      this.position.value = this.audio.currentTime;
      frame = requestAnimationFrame(step);
    };
    step();
    return () => cancelAnimationFrame(frame);
  }
}
