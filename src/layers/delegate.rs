//! Layers that are another layer under a name of their own.

/// All methods of a [`Layer`](crate::Layer) of the kind `$kind`, done by the layer in the field `$field`.
macro_rules! delegate_layer {
    ($kind:expr, $field:tt) => {
        fn kind(&self) -> &'static str {
            $kind
        }

        fn build(&mut self, input: &[usize], rng: &mut crate::Rng) -> crate::Result<()> {
            crate::Layer::<T>::build(&mut self.$field, input, rng)
        }

        fn output_shape(&self, input: &[usize]) -> crate::Result<Vec<usize>> {
            crate::Layer::<T>::output_shape(&self.$field, input)
        }

        fn forward(&self, x: &crate::Tensor<T>) -> crate::Result<crate::Tensor<T>> {
            crate::Layer::<T>::forward(&self.$field, x)
        }

        fn forward_into(&self, x: &crate::Tensor<T>, out: &mut crate::Tensor<T>) -> crate::Result<()> {
            crate::Layer::<T>::forward_into(&self.$field, x, out)
        }

        fn forward_add(
            &self,
            x: &crate::Tensor<T>,
            after: (&crate::Tensor<T>, crate::Activation),
            out: &mut crate::Tensor<T>,
        ) -> crate::Result<()> {
            crate::Layer::<T>::forward_add(&self.$field, x, after, out)
        }

        fn forward_pooled(
            &self,
            x: &crate::Tensor<T>,
            window: &crate::Window2d,
            out: &mut crate::Tensor<T>,
        ) -> crate::Result<bool> {
            crate::Layer::<T>::forward_pooled(&self.$field, x, window, out)
        }

        fn forward_train(
            &mut self,
            x: crate::Tensor<T>,
            tape: &mut crate::Tape<T>,
        ) -> crate::Result<crate::Tensor<T>> {
            crate::Layer::<T>::forward_train(&mut self.$field, x, tape)
        }

        fn backward(
            &mut self,
            grad: crate::Tensor<T>,
            tape: &mut crate::Tape<T>,
        ) -> crate::Result<crate::Tensor<T>> {
            crate::Layer::<T>::backward(&mut self.$field, grad, tape)
        }

        fn backward_params(
            &mut self,
            grad: crate::Tensor<T>,
            tape: &mut crate::Tape<T>,
        ) -> crate::Result<()> {
            crate::Layer::<T>::backward_params(&mut self.$field, grad, tape)
        }

        fn params(&self) -> Vec<(crate::Name, &crate::Param<T>)> {
            crate::Layer::<T>::params(&self.$field)
        }

        fn params_mut(&mut self) -> Vec<(crate::Name, &mut crate::Param<T>)> {
            crate::Layer::<T>::params_mut(&mut self.$field)
        }

        fn generators(&self) -> Vec<(crate::Name, &crate::Rng)> {
            crate::Layer::<T>::generators(&self.$field)
        }

        fn generators_mut(&mut self) -> Vec<(crate::Name, &mut crate::Rng)> {
            crate::Layer::<T>::generators_mut(&mut self.$field)
        }

        fn cost(&self, input: &[usize]) -> crate::Result<crate::Cost> {
            crate::Layer::<T>::cost(&self.$field, input)
        }

        fn step(&self) -> crate::Result<Option<crate::Step>> {
            crate::Layer::<T>::step(&self.$field)
        }

        fn fuse(&mut self, next: &crate::Step) -> crate::Result<bool> {
            crate::Layer::<T>::fuse(&mut self.$field, next)
        }

        fn for_inference(&mut self) -> crate::Result<()> {
            crate::Layer::<T>::for_inference(&mut self.$field)
        }

        fn last_activation(&self) -> Option<crate::Activation> {
            crate::Layer::<T>::last_activation(&self.$field)
        }

        fn last_activation_mut(&mut self) -> Option<&mut crate::Activation> {
            crate::Layer::<T>::last_activation_mut(&mut self.$field)
        }

        fn takes_maxima(&self) -> bool {
            crate::Layer::<T>::takes_maxima(&self.$field)
        }

        fn max_window(&self) -> Option<crate::Window2d> {
            crate::Layer::<T>::max_window(&self.$field)
        }
    };
}
pub(super) use delegate_layer;
