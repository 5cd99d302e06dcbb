//! A progress bar for training runs.

use indicatif::{ProgressBar, ProgressStyle};
use striate::train::{EpochLog, Progress, Status};

/// One bar over the whole run, with loss, accuracy, images a second and the time left; a line for each epoch above.
pub struct Bar(ProgressBar);

impl Default for Bar {
    fn default() -> Self {
        Bar(ProgressBar::no_length())
    }
}

impl Progress for Bar {
    fn on_epoch_start(&mut self, epoch: usize, epochs: usize, steps: usize) {
        self.0.set_length((epochs * steps) as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} left {eta}") {
            self.0.set_style(style);
        }
        self.0.set_position(((epoch - 1) * steps) as u64);
    }

    fn on_batch(&mut self, status: &Status<'_>) {
        let accuracy =
            status.metrics.iter().find(|(name, _)| name == "accuracy").map_or(0.0, |(_, value)| *value);
        self.0.set_message(format!(
            "epoch {}/{} loss {:.4} accuracy {:.2} % {:.0} images/s",
            status.epoch,
            status.epochs,
            status.loss,
            100.0 * accuracy,
            status.samples_per_second()
        ));
        self.0.inc(1);
    }

    fn on_epoch_end(&mut self, log: &EpochLog) {
        let line = format!(
            "epoch {:2}  loss {:.4}  accuracy {:.2} %  {:.0} images/s",
            log.epoch,
            log.loss,
            100.0 * log.get("accuracy").unwrap_or(0.0),
            log.samples_per_second()
        );
        // Where the output is no terminal there is no bar, but the lines should be there.
        match self.0.is_hidden() {
            true => println!("{line}"),
            false => self.0.println(line),
        }
        if self.0.length() == Some(self.0.position()) {
            self.0.finish_and_clear();
        }
    }
}
