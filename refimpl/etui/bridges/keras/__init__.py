"""The bridge to Keras: `.keras` files of Keras 3 and of tf_keras."""
