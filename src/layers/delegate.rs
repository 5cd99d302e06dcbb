//! Layers that are another layer under a name of their own.

/// All methods of a [`Layer`](crate::Layer) of the kind `$kind`, done by the layer in the field `$field`.
macro_rules! delegate_layer {
    ($kind:expr, $field:tt) => {
        fn kind(&self) -> &'static str {
            $kind
        }

        fn build(&mut self, input: &[usize], rng: &mut crate::Rng) -> crate::Result<()> {
            self.$field.build(input, rng)
        }

        fn output_shape(&self, input: &[usize]) -> crate::Result<Vec<usize>> {
            self.$field.output_shape(input)
        }

        fn forward(&self, x: &crate::Tensor<T>) -> crate::Result<crate::Tensor<T>> {
            self.$field.forward(x)
        }

        fn forward_into(&self, x: &crate::Tensor<T>, out: &mut crate::Tensor<T>) -> crate::Result<()> {
            self.$field.forward_into(x, out)
        }

        fn forward_train(
            &mut self,
            x: crate::Tensor<T>,
            tape: &mut crate::Tape<T>,
        ) -> crate::Result<crate::Tensor<T>> {
            self.$field.forward_train(x, tape)
        }

        fn backward(
            &mut self,
            grad: crate::Tensor<T>,
            tape: &mut crate::Tape<T>,
        ) -> crate::Result<crate::Tensor<T>> {
            self.$field.backward(grad, tape)
        }

        fn backward_params(
            &mut self,
            grad: crate::Tensor<T>,
            tape: &mut crate::Tape<T>,
        ) -> crate::Result<()> {
            self.$field.backward_params(grad, tape)
        }

        fn params(&self) -> Vec<(crate::Name, &crate::Param<T>)> {
            self.$field.params()
        }

        fn params_mut(&mut self) -> Vec<(crate::Name, &mut crate::Param<T>)> {
            self.$field.params_mut()
        }

        fn generators(&self) -> Vec<(crate::Name, &crate::Rng)> {
            self.$field.generators()
        }

        fn generators_mut(&mut self) -> Vec<(crate::Name, &mut crate::Rng)> {
            self.$field.generators_mut()
        }

        fn cost(&self, input: &[usize]) -> crate::Result<crate::Cost> {
            self.$field.cost(input)
        }
    };
}
pub(super) use delegate_layer;
