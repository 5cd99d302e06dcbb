//! [`Tensor`] through serde (feature `serde`): its shape, and its elements in row-major order.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Element, Tensor};

#[derive(Serialize)]
#[serde(rename = "Tensor")]
struct Lent<'a, T> {
    shape: &'a [usize],
    data: &'a [T],
}

#[derive(Deserialize)]
#[serde(rename = "Tensor")]
struct Owned<T> {
    shape: Vec<usize>,
    data: Vec<T>,
}

impl<T: Element + Serialize> Serialize for Tensor<T> {
    /// A structure of `shape` and `data`, the elements in row-major order.
    ///
    /// ```
    /// let x = striate::Tensor::from(ndarray::array![[1.0, 2.5]]);
    /// assert_eq!(serde_json::to_string(&x)?, r#"{"shape":[1,2],"data":[1.0,2.5]}"#);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Lent { shape: self.shape(), data: self.as_slice() }.serialize(serializer)
    }
}

impl<'de, T: Element + Deserialize<'de>> Deserialize<'de> for Tensor<T> {
    /// Fails where the number of elements is not that of the shape.
    ///
    /// ```
    /// use striate::Tensor;
    /// let x: Tensor = serde_json::from_str(r#"{"shape":[1,2],"data":[1.0,2.5]}"#)?;
    /// assert_eq!(x, Tensor::from(ndarray::array![[1.0, 2.5]]));
    /// assert!(serde_json::from_str::<Tensor>(r#"{"shape":[3],"data":[1.0]}"#).is_err());
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Owned { shape, data } = Owned::deserialize(deserializer)?;
        Tensor::from_vec(&shape, data).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Tensor<f32>, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    #[test]
    fn there_and_back() {
        for shape in [&[2, 3][..], &[6], &[1, 1, 6], &[0, 4], &[]] {
            let len = shape.iter().product::<usize>();
            let values = (0..len).map(|i| 1.0 / (i as f64 + 3.0)).collect();
            let x = Tensor::<f64>::from_vec(shape, values).unwrap();
            let back: Tensor<f64> = serde_json::from_str(&serde_json::to_string(&x).unwrap()).unwrap();
            assert_eq!((back.shape(), &back), (shape, &x));
        }
        // A view into a larger tensor writes its own elements only.
        let rows = Tensor::from(ndarray::array![[1.0_f32], [2.0], [3.0]]).rows(1..2).unwrap();
        assert_eq!(serde_json::to_string(&rows).unwrap(), r#"{"shape":[1,1],"data":[2.0]}"#);
    }

    #[test]
    fn hostile_input_is_an_error() {
        let max = usize::MAX;
        for bad in [
            r#"{"shape":[2,2],"data":[1.0]}"#,
            r#"{"shape":[2],"data":[1.0,2.0,3.0]}"#,
            r#"{"shape":[],"data":[]}"#,
            r#"{"shape":[-1],"data":[]}"#,
            r#"{"shape":[1],"data":["x"]}"#,
            r#"{"shape":[1]}"#,
            r#"{"data":[1.0]}"#,
            r#"[1.0]"#,
            &format!(r#"{{"shape":[{max},{max}],"data":[1.0]}}"#),
            &format!(r#"{{"shape":[0,{max},{max}],"data":[]}}"#),
            &format!(r#"{{"shape":[{max},2],"data":[]}}"#),
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse(r#"{"shape":[2,2],"data":[1.0]}"#).unwrap_err().contains("from_vec: expected"));
    }
}
