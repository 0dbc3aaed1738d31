"""serkit's scikit-learn estimators pass scikit-learn's own checks, but for those that need a classifier that learns."""

import numpy as np
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks

import serkit
from serkit.features import FEATURES
from serkit.sklearn import EmotionClassifier, FeatureTransformer

# They expect a classifier that learns the numbers 0, 1, ... as labels; a recognizer answers its own.
LEARNING = (
    *("check_fit_score_takes_y", "check_pipeline_consistency", "check_estimators_pickle"),
    *("check_classifier_data_not_an_array", "check_classifiers_one_label", "check_classifiers_classes"),
    *("check_classifiers_train", "check_supervised_y_2d", "check_methods_sample_order_invariance"),
    *("check_methods_subset_invariance", "check_fit_idempotent"),
)


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [FeatureTransformer("log_mel_functionals"), EmotionClassifier("emodb")],
    expected_failed_checks=lambda estimator: (
        dict.fromkeys(LEARNING, "a recognizer answers its own labels")
        if isinstance(estimator, EmotionClassifier)
        else {}
    ),
)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


# Encoders read a file of the user's; their tests are in tests/features.
@pytest.mark.parametrize("feature", sorted(FEATURES.keys() - {"onnx", "transformers"}))
def test_every_feature_is_a_transformer(feature):
    signals = 0.1 * np.random.default_rng(0).normal(size=(1, 8000))
    transformer = FeatureTransformer(feature)
    found = transformer.transform(signals)
    assert found.shape == (1, len(transformer.get_feature_names_out())) and np.isfinite(found).all()


def test_recordings_in_any_form_give_the_same(synthetic):
    path = synthetic.utterances[0].path
    samples, rate = serkit.audio.read(path)
    forms = [[path], [str(path)], [(samples, rate)], [{"array": samples, "sampling_rate": rate}], samples[None]]
    transformer, classifier = FeatureTransformer("log_mel_functionals", rate=rate), EmotionClassifier("emodb", rate)
    for form in forms:
        np.testing.assert_allclose(transformer.transform(form), transformer.transform([path]), atol=1e-4)
    answer = serkit.load("emodb")(path)
    assert classifier.predict([path]).tolist() == [answer.label]
    np.testing.assert_allclose(classifier.predict_proba([path])[0], list(answer.probabilities.values()))


def test_pipeline_and_data_frame(synthetic):
    paths = [str(utterance.path) for utterance in synthetic.utterances]
    labels = [utterance.targets["emotion"] for utterance in synthetic.utterances]
    model = make_pipeline(FeatureTransformer("log_mel_functionals"), StandardScaler(), SVC())
    assert cross_val_score(model, paths, labels, cv=2).mean() > 0.25
    frame = FeatureTransformer("log_mel_functionals").set_output(transform="pandas").transform(paths[:2])
    assert list(frame.columns)[:2] == ["mean_0", "mean_1"]


def test_mistakes():
    with pytest.raises(serkit.UserError, match="several recordings are required"):
        FeatureTransformer().transform("call.wav")
    with pytest.warns(UserWarning, match="never answers angry"):
        EmotionClassifier("emodb").fit([np.zeros(16000)], ["angry"])
