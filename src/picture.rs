//! Pictures of the [`image`] crate to tensors and back (feature `image`).

use image::{DynamicImage, GrayImage, RgbImage};

use crate::memory::{len_of, reserve};
use crate::{Error, Result, Tensor};

const OP: &str = "picture";

impl TryFrom<&DynamicImage> for Tensor<f32> {
    type Error = Error;

    /// `[1, height, width, 3]` of a colour picture, `[1, height, width, 1]` of a grey one, with values from 0 to 1
    /// (8 and 16 bits are divided by the largest number; floats stay as they are). Transparency is left out.
    ///
    /// # Errors
    /// [`ErrorKind::Size`](crate::ErrorKind::Size) if there is not enough memory.
    fn try_from(picture: &DynamicImage) -> Result<Self> {
        let floats = |channels, mut values: Vec<f32>| {
            let shape = shape(picture.width(), picture.height(), channels);
            // The buffer behind a picture may be longer than the picture.
            values.truncate(len_of(OP, &shape)?);
            Tensor::from_vec(&shape, values)
        };
        match picture {
            DynamicImage::ImageRgb8(picture) => picture.try_into(),
            DynamicImage::ImageLuma8(picture) => picture.try_into(),
            colour if colour.color().has_color() => floats(3, colour.to_rgb32f().into_raw()),
            grey => floats(1, grey.to_luma32f().into_raw()),
        }
    }
}

impl TryFrom<&RgbImage> for Tensor<f32> {
    type Error = Error;

    /// `[1, height, width, 3]`, with values from 0 to 1.
    ///
    /// # Errors
    /// [`ErrorKind::Size`](crate::ErrorKind::Size) if there is not enough memory.
    fn try_from(picture: &RgbImage) -> Result<Self> {
        from_bytes(&shape(picture.width(), picture.height(), 3), picture.as_raw())
    }
}

impl TryFrom<&GrayImage> for Tensor<f32> {
    type Error = Error;

    /// `[1, height, width, 1]`, with values from 0 to 1.
    ///
    /// # Errors
    /// [`ErrorKind::Size`](crate::ErrorKind::Size) if there is not enough memory.
    fn try_from(picture: &GrayImage) -> Result<Self> {
        from_bytes(&shape(picture.width(), picture.height(), 1), picture.as_raw())
    }
}

impl Tensor<f32> {
    /// One entry of a batch of pictures, with values from 0 to 1: grey from one channel, RGB from three, 8 bits each.
    /// Values are rounded to the nearest of 256 steps; those outside of 0 to 1 become 0 or 1, NaN becomes 0.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`](crate::ErrorKind::Shape) if the tensor is not `[batch, height, width, 1 or 3]` or has no
    /// such entry; [`ErrorKind::Size`](crate::ErrorKind::Size) if the picture is larger than the `image` crate allows.
    ///
    /// ```
    /// use striate::Tensor;
    /// let picture = image::RgbImage::from_fn(4, 2, |x, y| image::Rgb([10 * x as u8, 20 * y as u8, 255]));
    /// let tensor = Tensor::try_from(&picture)?;
    /// assert_eq!(tensor.shape(), [1, 2, 4, 3]);
    /// assert_eq!(tensor.to_image(0)?.into_rgb8(), picture);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn to_image(&self, entry: usize) -> Result<DynamicImage> {
        let &[batch, height, width, channels @ (1 | 3)] = self.shape() else {
            return Err(Error::shape(OP, "[batch, height, width, 1 or 3]", self.shape()));
        };
        if entry >= batch {
            return Err(Error::shape(OP, format_args!("a batch with an entry {entry}"), self.shape()));
        }
        let shape = [height, width, channels];
        let len = len_of(OP, &shape)?;
        let mut bytes: Vec<u8> = Vec::new();
        reserve(&mut bytes, OP, &shape)?;
        // The cast saturates and turns NaN into 0.
        let values = self.as_slice().iter().skip(entry * len).take(len);
        bytes.extend(values.map(|value| (value * 255.0).round() as u8));

        let too_large = || Error::size(OP, "a height and width below 2^32", format_args!("{shape:?}"));
        let sides = (u32::try_from(width).ok()).zip(u32::try_from(height).ok());
        let (width, height) = sides.ok_or_else(too_large)?;
        match channels {
            1 => GrayImage::from_raw(width, height, bytes).map(DynamicImage::ImageLuma8),
            _ => RgbImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgb8),
        }
        .ok_or_else(too_large)
    }
}

fn shape(width: u32, height: u32, channels: usize) -> [usize; 4] {
    [1, height as usize, width as usize, channels]
}

fn from_bytes(shape: &[usize], bytes: &[u8]) -> Result<Tensor<f32>> {
    let mut values = Vec::new();
    reserve(&mut values, OP, shape)?;
    // The buffer behind a picture may be longer than the picture.
    values.extend(bytes.iter().take(len_of(OP, shape)?).map(|&byte| f32::from(byte) / 255.0));
    Tensor::from_vec(shape, values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use image::{ImageBuffer, Luma, LumaA, Rgb, Rgba};

    fn colours() -> RgbImage {
        RgbImage::from_fn(5, 3, |x, y| Rgb([50 * x as u8, 100 * y as u8, (x * y) as u8]))
    }

    #[test]
    fn colour_there_and_back() {
        let tensor = Tensor::try_from(&colours()).unwrap();
        assert_eq!(tensor.shape(), [1, 3, 5, 3]);
        assert_eq!(tensor.view4().unwrap()[[0, 2, 4, 0]], 200.0 / 255.0);
        assert_eq!(tensor.to_image(0).unwrap(), DynamicImage::ImageRgb8(colours()));
        assert_eq!(Tensor::try_from(&DynamicImage::from(colours())).unwrap(), tensor);
    }

    #[test]
    fn every_byte_survives() {
        let grey = GrayImage::from_fn(16, 16, |x, y| Luma([(16 * y + x) as u8]));
        let tensor = Tensor::try_from(&grey).unwrap();
        assert_eq!((tensor.shape(), tensor.as_slice()[255]), (&[1, 16, 16, 1][..], 1.0));
        assert_eq!(tensor.to_image(0).unwrap(), DynamicImage::ImageLuma8(grey));
    }

    #[test]
    fn other_kinds_of_pixels() {
        let colour = Tensor::try_from(&colours()).unwrap();
        let transparent = DynamicImage::from(colours()).to_rgba8();
        assert_eq!(Tensor::try_from(&DynamicImage::from(transparent)).unwrap(), colour);

        let deep: ImageBuffer<Rgba<u16>, _> = ImageBuffer::from_pixel(1, 1, Rgba([1, 0, u16::MAX, 7]));
        let tensor = Tensor::try_from(&DynamicImage::ImageRgba16(deep)).unwrap();
        assert_eq!((tensor.shape(), tensor.as_slice()), (&[1, 1, 1, 3][..], &[1.0 / 65535.0, 0.0, 1.0][..]));

        let grey = ImageBuffer::from_pixel(2, 1, LumaA([51_u8, 9]));
        let tensor = Tensor::try_from(&DynamicImage::ImageLumaA8(grey)).unwrap();
        assert_eq!((tensor.shape(), tensor.as_slice()), (&[1, 1, 2, 1][..], &[0.2, 0.2][..]));
    }

    #[test]
    fn buffers_may_be_longer_than_pictures() {
        let picture = GrayImage::from_raw(2, 1, vec![255; 10]).unwrap();
        assert_eq!(Tensor::try_from(&picture).unwrap().as_slice(), [1.0, 1.0]);
        let picture = image::Rgb32FImage::from_raw(1, 1, vec![0.5; 10]).unwrap();
        assert_eq!(Tensor::try_from(&DynamicImage::ImageRgb32F(picture)).unwrap().as_slice(), [0.5; 3]);
    }

    #[test]
    fn values_are_clamped_and_rounded() {
        let values = vec![-3.0, 0.0, 0.001, 0.002, 0.5, 1.0, 7.0, f32::NAN];
        let tensor = Tensor::from_vec(&[2, 2, 2, 1], values).unwrap();
        assert_eq!(tensor.to_image(0).unwrap().into_bytes(), [0, 0, 0, 1]);
        assert_eq!(tensor.to_image(1).unwrap().into_bytes(), [128, 255, 255, 0]);
    }

    #[test]
    fn mistakes_are_errors() {
        for (bad, entry) in [(&[1, 2, 2, 2][..], 0), (&[2, 2, 3], 0), (&[2, 4, 4, 3], 2), (&[0, 4, 4, 3], 0)]
        {
            let error = Tensor::<f32>::zeros(bad).unwrap().to_image(entry).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Shape, "{error}");
        }
        #[cfg(target_pointer_width = "64")]
        {
            let empty = Tensor::<f32>::zeros(&[1, 0, 1 << 40, 3]).unwrap();
            assert_eq!(empty.to_image(0).unwrap_err().kind(), ErrorKind::Size);
        }
        let empty = Tensor::<f32>::zeros(&[1, 0, 4, 3]).unwrap();
        assert_eq!(empty.to_image(0).unwrap().width(), 4);
    }
}
